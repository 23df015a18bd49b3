"""Notes on the pages with measurements: symbols in charts, lists, and the days before and after.

signs.py has the symbols, compared.py the comparison as text, pages.py its page. The notes
themselves, and the pages that write them, are in `server.notes`.
"""
