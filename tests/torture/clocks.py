"""x"""
NAME, PER_HOUR = "clocks", 100
def why_not(lab): return "not written"
