/// Key pairs made for these tests with openssl, and used nowhere else.
enum TestKeys {
  static let rsaPrivate = """
    -----BEGIN PRIVATE KEY-----
    MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC+QKSabxLafY6V
    tOV82JcYyEoMc59eyfE4fuXbZN6wfIMFCv43rP2rmI2YLXo2NP+oxRaSWdxaS0d7
    E2whIYK/iaiQpWS6ylwOHAQhX8FKoTnSEm8GqYulj4kpQ/9SIuqjlLtBV04Neira
    ExswuxkncGZBYyrrfdxl0vK2ERyCL42soPyCOa7cyUiBimKy6AtoWM16KQVRbleb
    La2yqJbdfn3m8Ko5Yt5j7iIjIHtvraQ/VfECvRLeemNh5L3J2nS5K8XfnudsUVBT
    HTRUYZPYbd6t/T9v9JbBtphmV4YnBwrVOx31HwTlm3w6KHpEK1GIletcLFv39/vt
    d/7OQqWtAgMBAAECggEAQ5Rzw9XDtS/XZ68/u1a2aVuwDfc+O63xDRfqb0HH5pn7
    8l0iy0UcQIlqdo1k9X9i9yC3MVpRLxPBeuL9zFD6gC4WXfcaLk22YF6sSuyYHPnj
    L49Tt+Ke07sGRk28koELpvqsf3vTIm9sbFVQGcHEICHJeN2Qf+EP2m2RwIGYhldf
    9S9Z5df00uisVEiyeDgj1z7TaTnCUmPDATrEzt0voOw3uROUEaI0QqBh1pQho/i5
    inL0Oy937SZlq9prfI0bvn8j3j5rOMXMBr/Vx5CMxCwGfyzLJRUma5kbdWIxk5w5
    3qINRKNgY/Xy9Ou0ei0ShMjZeg8qpZU4pVf9kGSFkwKBgQDoaxuKIKWjTg2mDmPc
    Q+kmSHG9KrqMtcvxbXlAtky+aeuZ3genADnYqClDfohpH7CbYSuQ+ApcRJHs/DBi
    oVbjfAYxmSg+lo6PtAVSFP3QnP2YkKamLco50i2jZu7kKabku2khW/JU3qMlHVAs
    9Z8No6L4dY38aoBsUt2bfJscfwKBgQDRjk779ynzoUdx/MUHvCBDnxLAlTnxw3gn
    9W/IhYymPo9WUkFrdalg0mNLpMabilbDTNfGtj2QKoSWBXWjOeHgzhdlEqB/SXgI
    CL8fb1ZuTSxW3EtlGLRNJaT56zpZAZKyIrqBDuYyo1Rwe9VgwYenyQvMeTn1jqUo
    G1i7isVX0wKBgBzYnlRodOZt25fOlWpTK27K8wLteLXaInPWiIQVnDTN5KX2PrDl
    gEh5ppVv8PJLMpo2Vzfo8TA+enYVXtP+/k/Bpusk/S+3c/4186saW942fesfmO9r
    I3xFr9BmCCRdXw9oi0XOqacK8ui6WKcb3R/OPX3k6Th453OKXWLc9kt1AoGBALiy
    yFT2VUiBlvoVwwd9Paa8Nwf8vvSix23YuqyvYPdJ3oZDu5teOmq3JIOQeOiwtqYu
    PWTMTVia0P91UmkKZFcC7sXL9CAcfin+o42uUSyo4nKweddiPdBdZJpORMAcTdKq
    H14O5sAtCwiVbM155fnxjm+rTXVsQ48lA0FRH3y3AoGBAN+EngqEZ6G2hfcK7Nxn
    C/OfrimG8Ry7iLTPWWBqFsvYJvv5ATR1Pm/ewQqAiBSDuXJRYoiz4FpvmzRYl+/U
    Ky3ORVfuvf/cGkdE7SaSQLCmcPVZl3ZexHZJT0z2ppYJDseMXbVuw/q9o/+kFSwK
    pQXAdugUi9rdxIWyO1I1BGvr
    -----END PRIVATE KEY-----
    """
  static let rsaPublic = """
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvkCkmm8S2n2OlbTlfNiX
    GMhKDHOfXsnxOH7l22TesHyDBQr+N6z9q5iNmC16NjT/qMUWklncWktHexNsISGC
    v4mokKVkuspcDhwEIV/BSqE50hJvBqmLpY+JKUP/UiLqo5S7QVdODXoq2hMbMLsZ
    J3BmQWMq633cZdLythEcgi+NrKD8gjmu3MlIgYpisugLaFjNeikFUW5Xmy2tsqiW
    3X595vCqOWLeY+4iIyB7b62kP1XxAr0S3npjYeS9ydp0uSvF357nbFFQUx00VGGT
    2G3erf0/b/SWwbaYZleGJwcK1Tsd9R8E5Zt8Oih6RCtRiJXrXCxb9/f77Xf+zkKl
    rQIDAQAB
    -----END PUBLIC KEY-----
    """
  static let rsaCertificate = """
    -----BEGIN CERTIFICATE-----
    MIIC/zCCAeegAwIBAgIUKjuHA2rjBkyZ0ag0vxF6VDqOK2YwDQYJKoZIhvcNAQEL
    BQAwDjEMMAoGA1UEAwwDcnNhMCAXDTI2MTEyNDAwMjI1N1oYDzIxMjYxMDMxMDAy
    MjU3WjAOMQwwCgYDVQQDDANyc2EwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEK
    AoIBAQC+QKSabxLafY6VtOV82JcYyEoMc59eyfE4fuXbZN6wfIMFCv43rP2rmI2Y
    LXo2NP+oxRaSWdxaS0d7E2whIYK/iaiQpWS6ylwOHAQhX8FKoTnSEm8GqYulj4kp
    Q/9SIuqjlLtBV04NeiraExswuxkncGZBYyrrfdxl0vK2ERyCL42soPyCOa7cyUiB
    imKy6AtoWM16KQVRblebLa2yqJbdfn3m8Ko5Yt5j7iIjIHtvraQ/VfECvRLeemNh
    5L3J2nS5K8XfnudsUVBTHTRUYZPYbd6t/T9v9JbBtphmV4YnBwrVOx31HwTlm3w6
    KHpEK1GIletcLFv39/vtd/7OQqWtAgMBAAGjUzBRMB0GA1UdDgQWBBSqc+X/KcaL
    Q9ujqC1W/cWEpJeFgDAfBgNVHSMEGDAWgBSqc+X/KcaLQ9ujqC1W/cWEpJeFgDAP
    BgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQAtEDS28zr9A5kb2GzW
    KyFvygVbRrWCwXj3dgLuh5n9na0r7Zkm94AOiDI7x0+3OFZPo9OjnKl7JcjEQL2p
    RDAFyhVOrPGcMdJZf/t9TD79G6pC9tdivQvb4eRYxe9ZRCnhrvrmOjRaMnat/WgC
    rtj5uKeCi9+bcAP1NFdk68Co63/907GBFfBCdi6q5TNEEsfyAHhXWu4EH2KBc81D
    d9Fa8K5eeIPZ1G/6r/GRXWM1i49sci2LXiQI6wJuHpkT7cSeo6pcZvU4vx/a+MIz
    QY7B7olZTZydiY/SI0VH2FAupEvKm3DK70E4LsAGmq8yRZmZxwF6q9xxyq8rMm+T
    wJc/
    -----END CERTIFICATE-----
    """
  static let rsaPublic1024 = """
    -----BEGIN PUBLIC KEY-----
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC6cAASb3ilrOh9QKMysIKQB1af
    zQQ5NfXdRhCUKcqCcHRfThV3PjuQDtoWl12aJB3OJ7M9nYyRoh2V5WlO56I9KBUG
    TnavS+z74904WTn+JkhObkQ/2tDKc1z3Xkx45jybaTSYwmn8EOJdWI5ifzXVialj
    QCdUcS58vbne3meukQIDAQAB
    -----END PUBLIC KEY-----
    """
  static let p256Private = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpO20V/ea0P12dQbo
    QY9hheddCnGuUiauMOVcJnCzqf2hRANCAAToSok3kXl9DUZ5XGghFLk493ySa6JU
    ozdmFRXHVzer5gRPvjnfnHhl+AgRhKviZbRn6sskj/xq8jEBw3wmvUpl
    -----END PRIVATE KEY-----
    """
  static let p256Public = """
    -----BEGIN PUBLIC KEY-----
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6EqJN5F5fQ1GeVxoIRS5OPd8kmui
    VKM3ZhUVx1c3q+YET74535x4ZfgIEYSr4mW0Z+rLJI/8avIxAcN8Jr1KZQ==
    -----END PUBLIC KEY-----
    """
  static let p256Certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBdjCCARugAwIBAgIUW7mTlWw8Zn2fLl0+mkhY+P67PYcwCgYIKoZIzj0EAwIw
    DzENMAsGA1UEAwwEcDI1NjAgFw0yNjExMjQwMDIyNTdaGA8yMTI2MTAzMTAwMjI1
    N1owDzENMAsGA1UEAwwEcDI1NjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOhK
    iTeReX0NRnlcaCEUuTj3fJJrolSjN2YVFcdXN6vmBE++Od+ceGX4CBGEq+JltGfq
    yySP/GryMQHDfCa9SmWjUzBRMB0GA1UdDgQWBBRwoH/RVdy8HVmA+xTaVdQ5JyUy
    1jAfBgNVHSMEGDAWgBRwoH/RVdy8HVmA+xTaVdQ5JyUy1jAPBgNVHRMBAf8EBTAD
    AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCgISQ4hOGMPqPbvouIN/zjg9+pQ/WGtvzy
    CMv26pUkbwIhAOzsniYrbsGu/O+7Z4plu0Jr74EJj8O1L8zKf0vhpOeb
    -----END CERTIFICATE-----
    """
  static let p384Private = """
    -----BEGIN PRIVATE KEY-----
    MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDA6sQ7YRsSRm9kerqYT
    6xNit4c7UC9ldcfvMM7au83/GOM6pV6yggy2Mt3n0/fYjF+hZANiAAQmGuqUAhDU
    ddccKqpIXGVgVhDmaYIPz/s44gzbWuBuuqIte8j8ig5FhiGJ8JJc1SwkynXlQl4V
    +0PxWr1mBOblPv3RjAJ+uVNn0z3w2JtacHhGhG2L/A+JYuoN/yJtQ48=
    -----END PRIVATE KEY-----
    """
  static let p384Public = """
    -----BEGIN PUBLIC KEY-----
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEJhrqlAIQ1HXXHCqqSFxlYFYQ5mmCD8/7
    OOIM21rgbrqiLXvI/IoORYYhifCSXNUsJMp15UJeFftD8Vq9ZgTm5T790YwCfrlT
    Z9M98NibWnB4RoRti/wPiWLqDf8ibUOP
    -----END PUBLIC KEY-----
    """
  static let p521Private = """
    -----BEGIN PRIVATE KEY-----
    MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBzB7ZalJBkSJvtvyK
    qY8XoO6yy6vLq7/1G2LYt7Qqd4NAZgP2zuYd1HTrlf9iHrXjMhJUhy9PwpKH/b4V
    fgFo6HyhgYkDgYYABABLiBSJvRWy9EF1Qm56pe/Sn7RZOe+ga81F9gKCayvHO/Zx
    iTyeuiL89Yit/P/RSFKxbc42eKcSnz3dATWB1LntXQGSoJtEnCiFn6f3lBib24cu
    tj0rQFZYI00v8vjYerCnGRd6Fm0C5me+cIC90j1ItSJsC9jttM0LSrPWIqhQhrSf
    HQ==
    -----END PRIVATE KEY-----
    """
  static let p521Public = """
    -----BEGIN PUBLIC KEY-----
    MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAS4gUib0VsvRBdUJueqXv0p+0WTnv
    oGvNRfYCgmsrxzv2cYk8nroi/PWIrfz/0UhSsW3ONninEp893QE1gdS57V0BkqCb
    RJwohZ+n95QYm9uHLrY9K0BWWCNNL/L42HqwpxkXehZtAuZnvnCAvdI9SLUibAvY
    7bTNC0qz1iKoUIa0nx0=
    -----END PUBLIC KEY-----
    """
  static let ed25519Private = """
    -----BEGIN PRIVATE KEY-----
    MC4CAQAwBQYDK2VwBCIEIJJNtz7jVgJAFrh/3XLHtRauDMbcivuO73TGhe1h4z8I
    -----END PRIVATE KEY-----
    """
  static let ed25519Public = """
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAqEsS/DaLNmbaqwO8E49Y/yXltfHpdR2KLPhWscIkoZU=
    -----END PUBLIC KEY-----
    """

  // The same as JWK members.
  static let rsaModulus =
    "vkCkmm8S2n2OlbTlfNiXGMhKDHOfXsnxOH7l22TesHyDBQr-N6z9q5iNmC16NjT_qMUWklncWktHexNsISGCv4mokKVkuspcDhwE"
    + "IV_BSqE50hJvBqmLpY-JKUP_UiLqo5S7QVdODXoq2hMbMLsZJ3BmQWMq633cZdLythEcgi-NrKD8gjmu3MlIgYpisugLaFjNeikF"
    + "UW5Xmy2tsqiW3X595vCqOWLeY-4iIyB7b62kP1XxAr0S3npjYeS9ydp0uSvF357nbFFQUx00VGGT2G3erf0_b_SWwbaYZleGJwcK"
    + "1Tsd9R8E5Zt8Oih6RCtRiJXrXCxb9_f77Xf-zkKlrQ"
  static let p256Point = (
    x: "6EqJN5F5fQ1GeVxoIRS5OPd8kmuiVKM3ZhUVx1c3q-Y",
    y: "BE--Od-ceGX4CBGEq-JltGfqyySP_GryMQHDfCa9SmU"
  )
  static let p384Point = (
    x: "JhrqlAIQ1HXXHCqqSFxlYFYQ5mmCD8_7OOIM21rgbrqiLXvI_IoORYYhifCSXNUs",
    y: "JMp15UJeFftD8Vq9ZgTm5T790YwCfrlTZ9M98NibWnB4RoRti_wPiWLqDf8ibUOP"
  )
  static let p521Point = (
    x: "AEuIFIm9FbL0QXVCbnql79KftFk576BrzUX2AoJrK8c79nGJPJ66Ivz1iK38_9FIUrFtzjZ4pxKfPd0BNYHUue1d",
    y: "AZKgm0ScKIWfp_eUGJvbhy62PStAVlgjTS_y-Nh6sKcZF3oWbQLmZ75wgL3SPUi1ImwL2O20zQtKs9YiqFCGtJ8d"
  )
  static let ed25519X = "qEsS_DaLNmbaqwO8E49Y_yXltfHpdR2KLPhWscIkoZU"
}
