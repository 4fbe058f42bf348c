"""x"""
NAME, PER_HOUR = "liars", 100
def why_not(lab): return "not written"
