"""CI files from a plan: texts for GitHub and GitLab, and cibuildwheel's settings. Nothing here touches a file."""
