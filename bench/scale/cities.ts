/**
 * Cities in which networks commonly have a PoP, with the coordinates of their centres in degrees.
 * The order is the one of their share of flows in the model: see `fleet.ts`. A core without IO.
 */
export interface City {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
}

const list = `
Frankfurt 50.11 8.68, Ashburn 39.04 -77.49, London 51.51 -0.13, Amsterdam 52.37 4.90,
New York 40.71 -74.01, Tokyo 35.68 139.69, Singapore 1.35 103.82, São Paulo -23.55 -46.63,
Los Angeles 34.05 -118.24, Chicago 41.88 -87.63, Paris 48.86 2.35, Mumbai 19.08 72.88,
San Jose 37.34 -121.89, Dallas 32.78 -96.80, Hong Kong 22.32 114.17, Miami 25.76 -80.19,
Stockholm 59.33 18.07, Madrid 40.42 -3.70, Milan 45.46 9.19, Warsaw 52.23 21.01,
Sydney -33.87 151.21, Seoul 37.57 126.98, Atlanta 33.75 -84.39, Toronto 43.65 -79.38,
Seattle 47.61 -122.33, Osaka 34.69 135.50, Jakarta -6.21 106.85, Delhi 28.61 77.21,
Chennai 13.08 80.27, Istanbul 41.01 28.98, Vienna 48.21 16.37, Marseille 43.30 5.37,
Zurich 47.38 8.54, Copenhagen 55.68 12.57, Prague 50.08 14.44, Dublin 53.35 -6.26,
Denver 39.74 -104.99, Mexico City 19.43 -99.13, Bogotá 4.71 -74.07, Buenos Aires -34.60 -58.38,
Santiago -33.45 -70.67, Lima -12.05 -77.04, Johannesburg -26.20 28.05, Lagos 6.52 3.38,
Nairobi -1.29 36.82, Cairo 30.04 31.24, Dubai 25.20 55.27, Tel Aviv 32.09 34.78,
Bangkok 13.76 100.50, Kuala Lumpur 3.14 101.69, Manila 14.60 120.98, Taipei 25.03 121.57,
Ho Chi Minh City 10.82 106.63, Melbourne -37.81 144.96, Perth -31.95 115.86, Auckland -36.85 174.76,
Helsinki 60.17 24.94, Oslo 59.91 10.75, Lisbon 38.72 -9.14, Bucharest 44.43 26.10`;

/** Sixty cities; six have no other within 1,500 km. */
export const cities: readonly City[] = list
  .trim()
  .split(/,\s*/)
  .map((text) => {
    const words = text.split(' ');
    const [latitude, longitude] = words.slice(-2).map(Number) as [number, number];
    return { name: words.slice(0, -2).join(' '), latitude, longitude };
  });
