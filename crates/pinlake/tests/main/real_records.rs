//! Records of the classic pipeline, through both doors, cleaned as an independent computation says.
