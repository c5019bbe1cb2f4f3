"""What compiled code was made from: what keys hold, what was read, what was looked for and was not there."""
