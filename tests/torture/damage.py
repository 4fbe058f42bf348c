"""x"""
NAME, PER_HOUR = "damage", 100
def why_not(lab): return "not written"
