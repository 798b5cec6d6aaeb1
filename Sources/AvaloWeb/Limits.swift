/// The bounds of asking servers on the web.
public enum WebLimits {
  /// To open a connection: a server that is there answers the handshake at once, over an ocean too.
  public static let connectTimeMax: Duration = .seconds(3)
  /// Connections to one server, unless its asker knows better: keys and memberships are asked for a few at a time.
  public static let connectionsMax = 8
}
