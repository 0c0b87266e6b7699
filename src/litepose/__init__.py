"""litepose: every person in a picture and their keypoints, in real time, on an ordinary CPU."""

__version__ = "0.1.0"
