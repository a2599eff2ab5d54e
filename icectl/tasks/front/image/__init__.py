"""Images as networks see them: layers, views, windows, augmentation."""
