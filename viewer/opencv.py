"""OpenCV without threads of its own: large pictures are shared out by `viewer.strips`."""

import cv2

cv2.setNumThreads(1)

__all__ = ["cv2"]
