"""What an audit is asked for: which rules count, what is known or excused, and what then stands against a wheel."""
