"""Pure tensor functions that both wings share: windows, crops, frames, angles, light."""
