//! Parameters as the DSP meets them: gliding to a new value without zipper noise, and modulated by cables.
