//! miraft-cli
