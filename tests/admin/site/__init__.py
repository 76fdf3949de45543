"""Tests of `headstart.admin.site`."""
