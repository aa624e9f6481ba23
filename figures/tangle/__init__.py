"""Weight entanglement compared with weight sharing and two-stage search.

forms, layers, supernets    ways to mix options, made from one description of a layer
memory                      bytes, operations and seconds of a gradient step
accuracy                    single-stage and two-stage searches
invariants                  numerical errors of the spaces
"""
