"""The techniques, pure: one module each. What they see comes as arguments, what they decide is returned.

A technique proposes only what price book and cache model say pays; it never fails a call. They do not
import each other; `order.py` owns their order.
"""
