"""What every room uses: files, folders, threads, text, the terminal."""
