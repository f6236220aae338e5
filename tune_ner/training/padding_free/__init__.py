"""Padding-free batches: collator, attention, dropout and a trimmed vocabulary.

In a padded batch, every layer computes as many tokens per sentence as the longest sentence has. A padding-free batch
concatenates its sentences into one row. Attention is computed within each sentence, in blocks of sentences of similar
length. After the attention of the last layer, only the tokens with a label are computed. Logits, positions and loss
are those of the padded batch; only dropout draws other masks.
"""
