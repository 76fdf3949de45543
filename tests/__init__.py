"""The tests: folders and files mirror src/headstart one to one."""
