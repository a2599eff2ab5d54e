"""Files of images and labels: pairs in folders, archives, what names say."""
