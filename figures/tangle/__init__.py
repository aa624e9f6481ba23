"""Weight entanglement measured, beside weight sharing and two-stage search.

forms, layers, supernets    the ways to mix options, built from one description
memory                      bytes, operations and seconds of a gradient step
accuracy                    single-stage and two-stage searches on one table
"""
