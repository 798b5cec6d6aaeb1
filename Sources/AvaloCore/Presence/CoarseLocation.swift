/// About where a user is: a place's name, a spot rounded to a tenth of a degree (some ten kilometres), or both. Nothing
/// finer is ever kept: it is rounded before it leaves the gateway.
public struct CoarseLocation: Sendable, Hashable {
  /// In tenths of a degree.
  public struct Spot: Sendable, Hashable {
    /// −900 … 900.
    public var latitude: Int16
    /// −1800 … 1800.
    public var longitude: Int16

    /// `nil` when it is not on Earth.
    public init?(latitudeTenths latitude: Int16, longitudeTenths longitude: Int16) {
      guard (-900...900).contains(latitude), (-1800...1800).contains(longitude) else { return nil }
      self.latitude = latitude
      self.longitude = longitude
    }

    /// Rounds degrees; `nil` when they are not on Earth.
    public init?(latitude: Double, longitude: Double) {
      guard (-90...90).contains(latitude), (-180...180).contains(longitude) else { return nil }
      self.init(
        latitudeTenths: Int16((latitude * 10).rounded()), longitudeTenths: Int16((longitude * 10).rounded()))
    }
  }

  /// At most ``Limits/placeBytesMax``; empty when not said.
  public var place: String
  public var spot: Spot?

  public init(place: String = "", spot: Spot? = nil) {
    self.place = place
    self.spot = spot
  }
}
