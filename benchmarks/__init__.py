"""What a token costs: the default chain against loops written by hand.  See README.md beside this file."""
