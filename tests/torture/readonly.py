"""x"""
NAME, PER_HOUR = "readonly", 100
def why_not(lab): return "not written"
