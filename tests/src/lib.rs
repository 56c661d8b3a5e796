//! miraft-tests
