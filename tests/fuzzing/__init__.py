"""Random peers: valid and invalid frames, cut anywhere, against both roles and the asyncio layer.

    profile.py       how many runs; the same ones every time, unless FUZZ_RUNS asks for others
    frames.py        what a peer can send, as frames that know their structure
    leaks.py         what must be empty once a connection is over
    memory.py        a socket without a network
    apps.py          applications that answer, stall, fail, push and hint
    sides.py         one side of a connection, and what must hold of it whichever it is

    story.py         what our client asks a server that is recorded, or replayed
    record.py        makes transcripts/ from nghttpd, Node and our own server
    mutations.py     transcripts with something wrong in them

    guided/          coverage-guided targets, for atheris

The tests stand in one file a role. What they found has its own regression test beside the module.
"""
