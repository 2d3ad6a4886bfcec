"""Fills Redis' features, Feast and Milvus from the topics."""
