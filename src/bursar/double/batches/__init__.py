"""The double's batch APIs: Anthropic's Message Batches, and OpenAI's files and batches.

A job's requests are answered one after another, evenly over the time that a job takes, each exactly as if it
had come by itself at that time, but billed at the price book's batch rate. Nothing runs in between: whoever
looks first makes everything happen that was due by then. Requests that are drawn to be late are never
answered; their job ends with its window, and they expire. What is cancelled, expires or fails costs nothing.
"""
