"""Encoders: pictures -> embeddings made of blocks, and attributes. One folder per saved encoder."""

from focusedfashion.encoders.encoder import AttributeGroup, Encoder, Encoding, load_encoder

__all__ = ["AttributeGroup", "Encoder", "Encoding", "load_encoder"]
