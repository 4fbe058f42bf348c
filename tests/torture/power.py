"""x"""
NAME, PER_HOUR = "power", 100
def why_not(lab): return "not written"
