"""One module for each site: an application for `headstart serve`, built below the folder `SITE`."""
