"""The doors that people use: command line and page."""
