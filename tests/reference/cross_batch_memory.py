"""The cross-batch memory as a list, newest sample last."""


class ListMemory:
    """``loss(labels, embeddings, ref_labels=None, ref_embeddings=None)`` with the last ``capacity`` samples."""

    def __init__(self, loss, capacity, start_after):
        self.loss, self.capacity, self.start_after = loss, capacity, start_after
        self.samples, self.steps = [], 0

    def step(self, labels, embeddings):
        total = self.loss(labels, embeddings)
        if self.steps >= self.start_after and len(self.samples) == self.capacity:
            ref_labels, ref_embeddings = zip(*self.samples, strict=True)
            total += self.loss(labels, embeddings, ref_labels=ref_labels, ref_embeddings=ref_embeddings)
        for label, embedding in zip(labels, embeddings, strict=True):
            self.samples.append((int(label), [float(u) for u in embedding]))
            if len(self.samples) > self.capacity:
                self.samples.pop(0)
        self.steps += 1
        return total
