"""Every text that is written for people from what was rendered and judged: runbooks, the page, policies, readmes, evidence."""
