"""All exit codes and messages.

Read by the command and by the background process; imports nothing, so that the command starts
quickly. Every message is one line that says how to go on; `{}` is filled in at run time.
"""

OK = 0
REQUEST_FAILED = 1
USAGE = 2
NOT_CONNECTED = 3
TIMED_OUT = 4
TLS = 5
INTERRUPTED = 130
"""As a shell reports a process ended by SIGINT (128 + 2)."""
BROKEN_PIPE = 141
"""As a shell reports a process ended by SIGPIPE (128 + 13)."""

NO_DAEMON = "no background process is running; 'h2c start' or 'h2c connect HOST' starts one"
NO_CONNECTION = "not connected; run 'h2c connect HOST:PORT', or give a full URL"
ALREADY_RUNNING = "a background process is running already (pid {}); 'h2c stop' ends it"
STARTED = "ready (pid {}); Ctrl-C ends it"
NOT_STARTED = "the background process did not start: {}; its log is {}"
UNWRITABLE_FOLDER = (
    "{} cannot be written: {}; make room there, or set XDG_RUNTIME_DIR to another folder"
)
UNWRITABLE_LOG = (
    "the background process did not start: its log cannot be written ({}); "
    "remove {}, or set XDG_RUNTIME_DIR"
)
LOST_DAEMON = "the background process went away; its log is {}; the next command starts another"
NO_ANSWER = (
    "the background process (pid {0}) does not answer; "
    "'kill -CONT {0}' wakes one that was stopped, 'kill -KILL {0}' ends it"
)
ENDING = "the background process is ending; run the command again"
DUMP_UNREAD = (
    "the background process is ending, since nobody reads its dump any more; run the command again"
)
DUMP_UNWRITABLE = (
    "the background process is ending, since its dump cannot be written; run the command again"
)
OTHER_VERSION = (
    "the background process is version {}, this command is version {}; "
    "run 'h2c stop', then try again"
)
NOT_OURS = "the background process at {} belongs to user {}; end it, or set XDG_RUNTIME_DIR"
UNREACHABLE = "{} cannot be used: {}; remove it, or set XDG_RUNTIME_DIR"
NOT_A_FOLDER = "{} is not a folder of its own; remove it, or set XDG_RUNTIME_DIR"
FOREIGN_FOLDER = "{} belongs to user {}; remove it, or set XDG_RUNTIME_DIR"
OPEN_FOLDER = "{0} may be entered by others; run: chmod 700 {0}"
UNUSABLE_FOLDER = "{} cannot be made: {}; set XDG_RUNTIME_DIR to a folder of your own"
LONG_FOLDER = "{} is too long for a socket; set XDG_RUNTIME_DIR to a shorter one"
BAD_SESSION = (
    "a session is named by 1 to 32 letters, digits, '-' and '_', not {!r}; "
    "write 'h2c --session NAME COMMAND'"
)
CANNOT_READ = "cannot read {}: {}; check the path behind --file, or behind the @ of -d"
CANNOT_KEEP_KEYS = (
    "cannot write the TLS keys to {}: {}; check the path given to --keylog or in SSLKEYLOGFILE"
)
CANNOT_WRITE = "cannot write {}: {}; check the path, and the space left"
TAKEN_FOR_PATH = "{0!r} is taken as a path of {1}; for a server of that name, write https://{0}"
NOT_A_DUMP = (
    "{} is not a dump of h2c, so it is left as it is; name another file, or remove this one"
)
NOT_A_PICTURE = (
    "{} is not an SVG picture, so it is left as it is; name another file, or remove this one"
)
NOW_CURRENT = "{} is the current connection now"
LOOK = "to see why, run 'h2c stop' and then 'h2c start --dump' in another terminal"
"""What to do about a request that failed on the way."""
TAPPING = "listening on {}, forwarding to {}; Ctrl-C ends it"
TAPPED = "connections: {}, frames: {}, bytes to the server: {}, bytes from it: {}"
CANNOT_ACCEPT = "clients cannot be accepted for now: {}; 'ulimit -n' may be too small"
CANNOT_LISTEN = "cannot listen on {}: {}; choose another port, or end what listens there"
TAP_FAILED = "connection {}: {}"
"""Before any other message: which connection it is about."""
CLIENT_WITHOUT_TLS = "the client does not speak TLS; if that is meant, listen on http://{}"
CLIENT_DISTRUSTS = "TLS with the client failed: {}; it must trust {}"
NOT_SET = "{} was not set; 'h2c set' lists what is"
NO_SERIES = "no series of pings runs on the current connection; 'h2c ping --interval 1s' starts one"
NOT_ALL_CAME = "{} of {} did not come as they should; the table says which"
FILE_SHRANK = "the file has become {} bytes shorter; do not change a file while it is sent"
NO_PROGRESS = "nothing moved for {:g} s{}; --timeout TIME waits longer"
STATUS = "the server answered {}; without --fail its answer is shown"
BINARY = (
    "the answer is binary, which a terminal cannot show; -o FILE keeps it, -o - shows it anyway"
)
INSECURE = "warning: the certificate of {} is not verified (--insecure)"
INTERNAL = "internal error ({}); its traceback is in {}; please report it"
BAD_REQUEST = "the background process does not understand this command; run 'h2c stop'"
