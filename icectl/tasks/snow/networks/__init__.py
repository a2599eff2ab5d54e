"""Parts of networks that forecast snow masks: tensors to tensors."""
