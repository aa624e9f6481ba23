"""How small can a given network, or any model, be made?"""
