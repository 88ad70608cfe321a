"""What every room uses: files, threads, text, the terminal."""
