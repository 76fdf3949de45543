"""Tests of the admin port, mirroring src/headstart/admin."""
