"""Learning which model a prompt needs: outcomes are read, a model is fitted to them, judged, and kept.

    outcomes     prompts with known outcomes, from JSONL
    fitting      the model itself, by scikit-learn, which is imported when a model is to be fitted
    validation   scores for outcomes that a model did not learn from, and what they come to
    model_files  learned models on disk

What a model sees and how its score is made is the pure part, `policy.routing`.
"""
