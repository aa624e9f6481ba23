"""Does the picked network predict real tables as well as ordinary models?"""
