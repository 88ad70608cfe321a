"""What a trained model is worth: numbers and pictures at the images' own size."""
