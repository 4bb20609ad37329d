"""What runs pages and keeps results: the store, its keys, pages, runs, the book. No science."""
