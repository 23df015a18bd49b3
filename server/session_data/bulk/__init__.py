"""What makes a batch of documents quick: the consumer's, and a request's.

typed.py parses and validates a usual document in one pass. writing.py writes rows without a model
instance for each; looking.py looks for many keys. None decides anything: accept.py has the rules.
"""
