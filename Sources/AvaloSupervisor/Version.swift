import AvaloSystem

/// For the main, which sees nothing below.
public typealias Version = AvaloSystem.Version
