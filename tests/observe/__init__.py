"""Tests of what watches requests, mirroring src/headstart/observe."""
