"""Rules that words must keep: what an agent says, what a caller says, what a tool is given and gives."""
