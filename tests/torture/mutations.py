"""x"""
NAME, PER_HOUR = "mutations", 100
def why_not(lab): return "not written"
