/* colours.js: made by tools/docs/page_colours.py from lib/image/colormap_data.h. Equally
 * spaced points of each colour map, six hexadecimal digits a point. */
const colourPoints = {
  inferno:
    '000004030210090620110a301b0c41270b52330a5e3f0a674b0c6b57106d62146e6d186e781c6d84206b' +
    '8f24689a2865a52d60b0315bbb3755c53d4ecf4446d84c3fe05436e75e2eed6925f2741cf68013f98d0a' +
    'fb9a06fca70cfcb519fac329f7d13cf4de52f1eb6cf3f689fcffa4',
  viridis:
    '440154460c5f48166948207148297946327f443b844144873d4c8a3a548b365c8d33638d306a8e2d718e' +
    '2a788e277f8e24868e228d8d20948c1f9a8a1fa18722a88429af8032b57b3dbb744ac26d59c76569cd5b' +
    '7ad1518cd6469fda3ab2dd2dc5e021d9e219ebe51afde725',
  grey:
    '000000ffffff',
  turbo:
    '30123b3724663d368c4146ad4457c84667de4777ef4686fa4195ff39a5fb2eb4f224c2e51ccfd518dbc5' +
    '1ae4b625eca736f3944bf98062fc6b7afe5890ff48a3fd3cb3f836c2f234d1e935dfdf37ead339f4c73a' +
    'faba39fdac34fe9b2dfd8926f9771ef46516ed540fe4460bda3907cf2e04c12302b21a01a112018f0a01' +
    '7a0403',
  coolwarm:
    '3b4cc0455bcd4f69d95978e36485ec7092f37b9ff987aafc93b5fe9fbeffaac7fdb5cefac0d4f5cad8ee' +
    'd4dbe6dddddde5d8d1ecd2c4f2cbb7f5c2aaf7b89cf7ad8ff5a081f29374ee8468e7755be0654fd75344' +
    'cc403ac12a30b40426',
  rdbu:
    '0530612166ab4393c392c5ded1e5f0f7f7f6fddbc7f4a582d6604db2182b67001f',
};
